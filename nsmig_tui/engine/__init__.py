"""Runs work through ports; knows neither asyncssh nor peewee nor a screen."""

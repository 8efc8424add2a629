"""Small stand-ins for nginx, php-fpm and the service manager, for the demo world only.

The programs here run as ``python -I -S -B FILE``: they use the standard library and their neighbours in
this folder, nothing else, so that they start quickly and do not depend on what is installed.
"""

"""The batch's own process: ``python -m nsmig_tui.batchproc``, started by ``engine.batch.client.Batches``."""

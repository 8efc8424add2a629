"""A node's own small disk: an ext4 file system in a file, to be full, read-only, or lose power."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


class Disk:
    """Holds all layers of one node at ``mountpoint``."""

    def __init__(self, directory: Path, size_mb: int) -> None:
        """``directory`` gets the image file and the mount point; the image is sparse."""
        self.image = directory / "disk.img"
        self.mountpoint = directory / "disk"
        self.size_mb = size_mb

    def create(self) -> None:
        """Make the file system and mount it."""
        self.mountpoint.mkdir(parents=True)
        with self.image.open("wb") as handle:
            handle.truncate(self.size_mb << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", self.image], check=True)
        self.mount()

    def mount(self) -> None:
        """Mount the image; after a power cut the file system's own journal is replayed here.

        The long commit interval leaves it to syncs alone what is on the disk, not to the speed of a test.
        """
        subprocess.run(["mount", "-o", "loop,commit=300", self.image, self.mountpoint], check=True)

    def what_reached_it(self) -> Path:
        """Copy of the image as it is at this moment: what was written and never synced is not in it."""
        copy = self.image.with_suffix(".crash")
        subprocess.run(["cp", "--sparse=always", self.image, copy], check=True)
        return copy

    def fall_back_to(self, copy: Path) -> None:
        """Go on with the copy as the disk; it must be unmounted."""
        os.rename(copy, self.image)
        self.mount()

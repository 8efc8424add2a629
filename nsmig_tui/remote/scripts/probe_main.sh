# Entry of `node check`: capabilities only. Argument: VPATH.
capabilities "$1"

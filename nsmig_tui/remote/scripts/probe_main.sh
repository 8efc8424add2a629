# Entry of `node check`: capabilities only. Argument: VPATH.
capabilities "$1"
vpath_row "$1"

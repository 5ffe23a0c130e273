"""One file, one model: each module defines ``MODEL`` and reads like the paper it comes from."""

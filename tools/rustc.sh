#!/bin/sh
# rustc for the guests: Cargo tells crates apart by a hash that covers absolute paths, and that hash
# ends up in the order of code. Name and version serve as well and are the same in every folder.
for argument; do
    shift
    case $argument in
    metadata=*) argument=metadata=$CARGO_PKG_NAME-$CARGO_PKG_VERSION ;;
    esac
    set -- "$@" "$argument"
done
exec "$@"

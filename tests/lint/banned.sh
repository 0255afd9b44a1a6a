#!/bin/sh
# Functions and constructs that this project does without. The table is in banned.awk.
. "$(dirname "$0")/lib.sh"

c_files proto broker agentd client tests | awk_over banned.awk
finish

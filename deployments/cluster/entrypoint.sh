#!/bin/sh
# Makes each secret file an environment variable of its name, then runs the command. Files with a dot are not for us.
set -eu
for file in "${SECRETS:-/run/secrets}"/*; do
  name=${file##*/}
  case $name in *[!A-Z0-9_]*) continue ;; esac
  export "$name=$(cat "$file")"
done
exec "$@"

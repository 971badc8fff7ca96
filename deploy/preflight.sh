#!/bin/sh
# Refuses to start with a password that anybody could guess, or that the server's configuration could not hold.
set -eu

refuse() {
  echo "POSTGRES_PASSWORD $1: set one in .env, for example from \`openssl rand -hex 24\`" >&2
  exit 2
}

case "${POSTGRES_PASSWORD:-}" in
  "") refuse "is missing" ;;
  change-me*) refuse "is the placeholder of .env.example" ;;
  *[!A-Za-z0-9._~-]*) refuse "holds other characters than letters, digits and . _ ~ -" ;;
esac
if [ "${#POSTGRES_PASSWORD}" -lt 16 ]; then
  refuse "is shorter than 16 characters"
fi

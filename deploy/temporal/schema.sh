#!/bin/sh
# Makes Temporal's two databases, or migrates them to the version of this image. May be run again: what is there stays.
set -eu

migrate() {
  database=$1 schema=$2
  tool() {
    temporal-sql-tool --plugin postgres12 --ep "$POSTGRES_HOST" --port 5432 --user "$POSTGRES_USER" --db "$database" "$@"
  }
  tool create
  tool setup-schema --version 0.0
  tool update-schema --schema-dir "/etc/temporal/schema/postgresql/v12/$schema/versioned"
}

migrate temporal temporal
migrate temporal_visibility visibility

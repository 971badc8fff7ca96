#!/bin/sh
# Creates Temporal's two databases, or migrates them to the version of this image. May run again.
set -eu

migrate() {
  database=$1 schema=$2
  tool() {
    temporal-sql-tool --plugin postgres12 --ep "$POSTGRES_HOST" -p 5432 -u "$POSTGRES_USER" --db "$database" "$@"
  }
  tool create
  tool setup-schema -v 0.0
  tool update-schema -d "/etc/temporal/schema/postgresql/v12/$schema/versioned"
}

migrate temporal temporal
migrate temporal_visibility visibility

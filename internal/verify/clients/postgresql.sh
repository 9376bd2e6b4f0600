#!/bin/sh
# Writes a row to the database and reads it back. PGHOST, PGUSER, PGPASSWORD and PGDATABASE are set by the check.
set -eu
read=$(psql --no-psqlrc --quiet --tuples-only --no-align --set ON_ERROR_STOP=1 --command '
  begin; create temporary table verify (v int); insert into verify values (1); select v from verify; rollback')
[ "$read" = 1 ] || {
  echo "the row that was written is read as: $read" >&2
  exit 1
}
echo "a row was written and read"

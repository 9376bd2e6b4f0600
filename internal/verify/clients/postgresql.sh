#!/bin/sh
# Writes a row to the database and reads it back. PGHOST, PGUSER, PGPASSWORD and PGDATABASE are set by the check.
set -eu
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --command '
  begin; create temporary table verify (v int); insert into verify values (1); select v from verify; rollback'
echo "a row was written and read"

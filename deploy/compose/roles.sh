#!/bin/sh
# Not run where this was written; see compose.yaml.
# Run by the PostgreSQL image when it makes its cluster: the database, the login that migrates, and the gateways' login. What the
# latter may do `causeway migrate` grants.
set -eu
psql -v ON_ERROR_STOP=1 -U postgres <<EOF
CREATE ROLE migrator LOGIN CREATEROLE PASSWORD '$(cat /run/secrets/migrator_password)';
CREATE DATABASE causeway OWNER migrator;
CREATE ROLE gateway LOGIN PASSWORD '$(cat /run/secrets/gateway_password)';
EOF

#!/bin/sh
# Not run where this was written; see compose.yaml.
# Run by the PostgreSQL image when it makes its cluster: the database, the login that migrates, and the gateways' login. What a
# gateway may do is the role causeway_gateway's; `causeway migrate` grants it.
set -eu
psql -v ON_ERROR_STOP=1 -U postgres <<EOF
CREATE ROLE migrator LOGIN CREATEROLE PASSWORD '$(cat /run/secrets/migrator_password)';
CREATE DATABASE causeway OWNER migrator;
CREATE ROLE causeway_gateway NOLOGIN NOINHERIT;
CREATE ROLE gateway LOGIN PASSWORD '$(cat /run/secrets/gateway_password)' IN ROLE causeway_gateway;
EOF

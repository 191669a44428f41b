#!/bin/sh
# Makes the database on the first start, then becomes the server.
set -eu
bin=$(echo /usr/lib/postgresql/*/bin)

if [ ! -s "$PGDATA/PG_VERSION" ]; then
    "$bin/initdb" --username=guestbook --pwfile="$PASSWORD_FILE" --auth=scram-sha-256 \
        --encoding=UTF8 --locale=C.UTF-8 >/dev/null
    echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
    echo "CREATE DATABASE guestbook" | "$bin/postgres" --single postgres >/dev/null
fi
exec "$bin/postgres" -c "listen_addresses=*" -c unix_socket_directories=/tmp

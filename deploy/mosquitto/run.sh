#!/bin/sh
# Starts the broker and tells it when its password file changed (the hub rewrites it when an edge gets a password).
# The hub's own line is made anew from the secret at every start; all other lines stay. Ends as the broker ends.
set -eu
umask 077
accounts=${ANXIN_ACCOUNTS:-/mosquitto/data/passwords}
secret=${ANXIN_HUB_PASSWORD_FILE:-/run/secrets/mqtt_password}
configuration=${ANXIN_MOSQUITTO_CONF:-/etc/anxin/mosquitto.conf}

fresh=$accounts.fresh
printf 'hub:%s\n' "$(cat "$secret")" >"$fresh"
mosquitto_passwd -U "$fresh"
if [ -e "$accounts" ]; then
    grep -v '^hub:' "$accounts" >>"$fresh" || [ $? -eq 1 ]
fi
mv "$fresh" "$accounts"

mosquitto -c "$configuration" &
broker=$!
trap 'kill -TERM "$broker" 2>/dev/null' TERM INT
known=$(cksum <"$accounts")
while kill -0 "$broker" 2>/dev/null; do
    sleep 1 &
    wait $! || true
    now=$(cksum <"$accounts") || continue
    if [ "$now" != "$known" ]; then
        known=$now
        kill -HUP "$broker"
    fi
done
wait "$broker"

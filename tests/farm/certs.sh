# certs.sh - sourced by rabbitmq and the scripts that speak TLS: an authority
# of their own, and what it signs.
# shellcheck shell=bash
#
#   certs_ca DIR [NAME]             DIR/NAME.pem and .key; NAME: ca
#   certs_make DIR NAME SANS [CA]   DIR/NAME.pem and .key; SANS as openssl has them: DNS:localhost,IP:127.0.0.1

certs_ca() {
    local name=${2-ca}
    mkdir -p "$1" && openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj "/CN=gopmill-test-$name" \
        -keyout "$1/$name.key" -out "$1/$name.pem" >/dev/null 2>&1 && chmod 600 "$1/$name.key"
}

certs_make() {
    local ca=${4-ca}
    openssl req -newkey rsa:2048 -nodes -subj "/CN=$2" -keyout "$1/$2.key" -out "$1/$2.csr" >/dev/null 2>&1 &&
        openssl x509 -req -in "$1/$2.csr" -CA "$1/$ca.pem" -CAkey "$1/$ca.key" -CAcreateserial -days 30 \
            -out "$1/$2.pem" -extfile <(echo "subjectAltName=$3") >/dev/null 2>&1 && chmod 600 "$1/$2.key"
}

"""What is named like a secret is hidden; what only looks a little like it stays to be read."""

import pytest

from nsmig_tui.domain.masking import mask_line
from nsmig_tui.domain.rewrite import FileChange, diff

CANARY = "C4nary+/x=="


@pytest.mark.parametrize(
    "line",
    [
        "env[DB_PASSWORD] = {}",
        "env[DB_PASS]={}",
        "php_admin_value[mysqli.default_pw] = {}",
        'php_admin_value[app.api_key] = "{}"',
        "fastcgi_param DB_PASS {};",
        "fastcgi_param  SMTP_PWD '{}';",
        'set $api_token "{}";',
        'proxy_set_header Authorization "Basic {}";',
        "proxy_set_header X-Auth-Token {};",
        "# password: {}",
        "; old secret={}",
        "fastcgi_param DATABASE_URL mysql://shop:{}@db/shop;",
        "env[APP_SECRET] = {}",
        "fastcgi_param APP_KEY base64:{};",
        'fastcgi_param DB_PASS "x;{}";',
        "fastcgi_param DB_PASS 'a\"b;{}';",
        r'fastcgi_param DB_PASS "a\"b;{}";',
        'env[DB_PASS] = "x;{}"',
        "env[DB_PASS] = /x!{}",
        "env[DB_PASS] = ${}",
        "env[DB_PASS] = '${}'",
        'fastcgi_param DB_PASS ":{}";',
        'fastcgi_param DB_PASS "={}";',
        "proxy_set_header X-Api-Key {};",
        'secure_link_md5 "$secure_link_expires$uri {}";',
        "env[REDIS_AUTH] = {}",
        "fastcgi_param PASSWORD_SALT {};",
        'php_value[session.save_path] = "tcp://127.0.0.1:6379?weight=1&auth={}&database=2"',
        'env[SENTRY] = "https://me:p@{}@host/1"',
    ],
)
def test_secrets_are_hidden(line):
    canary = CANARY.replace("/", "") if "://" in line else CANARY
    shown = mask_line(line.format(canary))
    assert canary not in shown and "***" in shown
    assert shown.split()[0] == line.split()[0].split("=")[0] or shown.startswith(line.split("=")[0])


@pytest.mark.parametrize(
    "line",
    [
        "fastcgi_pass unix:/srv/a.test/web/run/fpm.sock;",
        "fastcgi_pass 127.0.0.1:9000;",
        "proxy_pass http://127.0.0.1:8080/;",
        "auth_basic_user_file /srv/a.test/web/.htpasswd;",
        "ssl_certificate_key /etc/letsencrypt/live/a.test/privkey.pem;",
        "proxy_set_header Authorization $http_authorization;",
        "keepalive_timeout 65;",
        "try_files $uri $uri/ =404;",
        "fastcgi_cache_key $scheme$host$request_uri;",
        "env[DB_PASS_FILE] = /srv/a.test/web/.secret",
        "location /passwords/ { deny all; }",
        "php_value[session.save_path] = /srv/a.test/var/tmp",
        "proxy_pass_header Server;",
        'ssl_password_file "/etc/nginx/passwords.txt";',
        'proxy_set_header X-Auth-Token "$http_x_auth_token";',
        "fastcgi_param DB_PASSWORD_FILE /run/secrets/$host;",
        "auth_basic 'Members';",
        "auth_request /auth;",
    ],
)
def test_what_is_no_secret_can_be_read(line):
    assert mask_line(line) == line


def test_a_diff_shows_no_secret_that_stands_near_a_change():
    before = f"listen = /srv/a/var/run/s\nenv[DB_PASSWORD] = {CANARY}\n".encode()
    change = FileChange("/etc/p.conf", "fpm", before, before.replace(b"var/run", b"web/run"))
    assert CANARY not in diff(change)
    assert "-listen = /srv/a/var/run/s\n+listen = /srv/a/web/run/s\n env[DB_PASSWORD] = ***\n" in diff(change)

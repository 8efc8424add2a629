"""What each directive of nginx does with a path, and so what becomes of an old path in it."""

from __future__ import annotations

import re
from functools import lru_cache

FOLLOWS = "follows"
"""Opens the path itself: it is given the new one."""
STAYS = "stays"
"""Must not change while nginx runs: it keeps the old path, which a link keeps valid."""
TELLS = "tells"
"""Text for visitors, programs or keys, or a URI: it stays, and may be a use of the old path."""
UNKNOWN = "unknown"
"""Nobody knows whether another path would do."""

_STAYS = re.compile(r"\w+_cache_path")  # nginx refuses a reload that gives a zone of the cache another path
_FIXED = re.compile(
    r"""error_log|include|server|\w+_temp_path
    |(?:\w+_)?ssl_(?:certificate|certificate_key|trusted_certificate|client_certificate|crl|dhparam
        |password_file|session_ticket_key|stapling_file|ech_file)
    |(?:\w+_)?trusted_certificate|quic_host_key
    |geoip_(?:country|city|org)|geoip2|xslt_stylesheet|xml_entities
    |js_(?:import|include|path|preload_object)|perl_modules|perl_require|modsecurity_rules_file
    |init(?:_worker)?_by_lua_file|lua_package_c?path
    |hls_path|dash_path|record_path|upload_state_store|passenger_(?:app_root|document_root)""",
    re.VERBOSE,
)
"""No variable may be in these, in some versions of nginx at least."""
_FREE = re.compile(
    r"""root|alias|access_log|set|if|auth_basic_user_file|disable_symlinks|\w+_store|\w+_by_lua_file
    |(?:fastcgi|uwsgi|scgi|proxy|grpc|memcached)_pass|(?:fastcgi|uwsgi|scgi)_param""",
    re.VERBOSE,
)
_TELLS = re.compile(
    r"""return|rewrite|error_page|try_files|index|location|server_name|log_format|env|default_type
    |add_header|add_trailer|add_(?:before|after)_body|more_(?:set|clear)_(?:input_)?headers
    |subs?_filter\w*|auth_basic|auth_request(?:_set)?|mirror|valid_referers|secure_link\w*
    |limit_(?:req|conn)_zone|map|geo|split_clients|echo\w*|fancyindex_\w+|expires|userid_\w+
    |\w+_(?:set_header|set_body|redirect|cookie_path|cookie_domain|cache_key|cache_bypass|no_cache
        |index|split_path_info)""",
    re.VERBOSE,
)


@lru_cache(4096)
def use_of(name: str) -> str:
    """FOLLOWS, STAYS, TELLS or UNKNOWN, for a directive's name."""
    if _STAYS.fullmatch(name):
        return STAYS
    if _FIXED.fullmatch(name) or _FREE.fullmatch(name):
        return FOLLOWS
    return TELLS if _TELLS.fullmatch(name) else UNKNOWN


def takes_variables(name: str) -> bool:
    """Whether every version of nginx that has the directive takes variables in its path."""
    return _FREE.fullmatch(name) is not None and _FIXED.fullmatch(name) is None

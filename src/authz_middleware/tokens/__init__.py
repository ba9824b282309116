"""Bearer tokens: strict parsing, keys, signatures, claims (RFC 7515, 7517-7519, 8725, 9068).

Everything here is pure: no clock, no sockets, no locks, no files, no log. A token that breaks
any rule raises `rejection.Rejected`, which the engine turns into an outcome.
"""

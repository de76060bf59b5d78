"""A run on an address such as `s3://bucket/run`: a mirror of an ordinary folder, which the next command brings back.

    <address>/root.json                      which content is current; the one object that is ever replaced by a run
    <address>/manifests/<lease>/<number>     path -> pieces, for the files of one or several pushes; never changed
    <address>/objects/<lease>/<number>-<n>   pieces of files, one after the other; never changed
    <address>/lease.json                     who works on the run

A push writes objects, then a manifest, then replaces the root on the condition that it is still the one that was read:
this is the only moment at which anything becomes visible. Every name is used once, so a request that arrives twice or
late does no harm.
"""

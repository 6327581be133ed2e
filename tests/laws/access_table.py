"""Who gets which status where: written by hand, from what the contract and the reference say, never from the code.

Each line is a mounted route and what six people get for the same good request about a twin, a member and things of
somebody else's in it:

    user      an ordinary member of the twin
    stranger  an administrator of another twin, with every verb there
    bare      an administrator of the twin without any verb
    manager   the manager of another account, administrator of nothing else
    admin     an administrator of the twin with every verb
    super     a super administrator, asked last

Whoever has no token, a token that has run out, or one whose session has ended gets 401 on every line, whoever is
suspended 403, but for the lines that say `public` (no token is looked at), `operator` (this machine may) and `link`
(tests/vault/test_access.py says who opens which file). The twin
that the super administrator is in has chat completions switched on. Sessions of the page are kept in a cookie: whoever
brings a token of his own has no business there.
"""

TABLE = """
                                                       user stranger bare manager admin super
POST /api/ai/personal/qanda                             200 200 200 200 200 200
POST /api/ai/personal-stream/qanda-stream               200 200 200 200 200 200
POST /api/ai/chat/completions                           403 403 403 403 403 200
POST /api/ai/estimate                                   200 200 200 200 200 200
GET /api/ai/models                                      200 200 200 200 200 200
GET /api/ai/turns                                       200 200 200 200 200 200
GET /api/ai/turns/{turn}/events                         404 404 404 404 404 404
POST /api/ai/turns/{turn}/cancel                        404 404 404 404 404 404
POST /api/auth/signin                                   public
POST /api/auth/signup                                   public
POST /api/auth/signup/confirm                           public
POST /api/auth/resetCode                                public
POST /api/auth/changePassword                           public
POST /api/auth/api-key-signin                           public
POST /api/auth/mfa-verify                               public
POST /api/auth/mfa-resend                               public
POST /api/auth/mfa-cancel                               public
POST /api/auth/signout                                  200 200 200 200 200 200
POST /api/user/refresh/profile                          200 200 200 200 200 200
POST /api/user/refresh/entitlements                     200 200 200 200 200 200
PUT /api/user/me                                        200 200 200 200 200 200
DELETE /api/user/me                                     401 401 401 401 401 401
POST /api/user/me/email                                 400 400 400 400 400 400
GET /api/user/data/stats                                200 200 200 200 200 200
POST /api/user/data/export                              202 202 202 202 202 202
GET /api/user/data/export                               200 200 200 200 200 200
DELETE /api/user/data                                   200 200 200 200 200 200
GET /api/data-export/{slug}                             public
POST /api/user/me/mfa-enroll                            200 200 200 200 200 200
GET /api/user/me/mfa                                    200 200 200 200 200 200
POST /api/user/me/totp                                  401 401 401 401 401 401
POST /api/user/me/totp/confirm                          400 400 400 400 400 400
DELETE /api/user/me/totp                                401 401 401 401 401 401
POST /api/user/me/recovery-codes                        401 401 401 401 401 401
DELETE /api/user/me/devices                             200 200 200 200 200 200
DELETE /api/user/me/devices/{turn}                      404 404 404 404 404 404
GET /api/user/sessions                                  200 200 200 200 200 200
DELETE /api/user/sessions                               200 200 200 200 200 200
DELETE /api/user/sessions/{session}                     404 404 404 404 404 404
GET /api/user/api-keys                                  200 200 200 200 200 200
GET /api/user/api-key-usage                             200 200 200 200 200 200
POST /api/user/api-key                                  403 200 200 200 200 200
POST /api/user/api-key/{turn}/rotate                    404 404 404 404 404 404
DELETE /api/user/api-key/{turn}                         404 404 404 404 404 404
POST /api/user/availableInstitutions                    200 200 200 200 200 200
PUT /api/user/institutionJoin                           403 403 403 403 403 403
POST /api/user/approveUid                               404 404 404 404 404 404
POST /api/user/institutionSendInvite                    403 404 403 404 200 200
POST /api/user/institutionCreateJoinId                  403 404 403 404 200 200
POST /api/user/userInstitutionSwitch/{membership}       404 404 404 404 404 404
PUT /api/user/userInstitution/{membership}              404 404 404 404 404 404
DELETE /api/user/userInstitution/{membership}           404 404 404 404 404 404
PUT /api/user/institution                               403 200 403 403 200 200
POST /api/user/histories                                200 200 200 200 200 200
POST /api/user/favorites                                200 200 200 200 200 200
POST /api/user/courses                                  200 200 200 200 200 200
POST /api/user/renameHistory                            404 404 404 404 404 404
POST /api/user/clearHistory                             404 404 404 404 404 404
GET /api/user/history/{turn}/thinking                   404 404 404 404 404 404
GET /api/user/history/{turn}/sources                    404 404 404 404 404 404
PUT /api/user/history/{turn}                            404 404 404 404 404 404
POST /api/user/feedback                                 404 404 404 404 404 404
POST /api/user/assistants                               200 200 200 200 200 200
POST /api/user/assistant                                200 200 200 200 200 200
GET /api/user/assistant/{turn}                          404 404 404 404 404 404
PUT /api/user/assistant/{turn}                          404 404 404 404 404 404
DELETE /api/user/assistant/{turn}                       404 404 404 404 404 404
POST /api/user/assistant/{turn}/like                    404 404 404 404 404 404
POST /api/user/assistant/{turn}/clone                   404 404 404 404 404 404
POST /api/admin/assistants                              403 200 403 200 200 200
POST /api/admin/aimodels                                403 200 403 200 200 200
POST /api/admin/aimodel                                 403 404 403 404 200 409
GET /api/admin/aimodel/{turn}                           403 404 403 404 404 404
PUT /api/admin/aimodel/{turn}                           403 404 403 404 404 404
DELETE /api/admin/aimodel/{turn}                        403 404 403 404 404 404
POST /api/admin/aimodel/{turn}/test                     403 404 403 404 404 404
POST /api/admin/users                                   403 200 403 200 200 200
POST /api/admin/user                                    403 404 403 404 200 409
GET /api/admin/user/{user}                              403 404 403 404 200 200
PUT /api/admin/user/{user}                              403 404 403 404 200 200
DELETE /api/admin/user/{user}                           403 404 403 404 200 404
PUT /api/admin/users/bulk-status                        403 200 403 200 200 200
POST /api/admin/user/{user}/reset                       403 404 403 404 200 200
POST /api/admin/user/{user}/actAs                       403 404 403 404 200 200
DELETE /api/admin/user/{user}/mfa                       403 404 403 404 200 200
GET /api/admin/users/{user}/mfa-audit                   403 404 403 404 200 200
GET /api/admin/user/{user}/sessions                     403 404 403 404 200 200
DELETE /api/admin/session/{session}                     403 404 403 404 200 404
POST /api/admin/userInstitutions                        403 200 403 200 200 200
GET /api/admin/userInstitutionsByUserId/{user}          403 404 403 404 200 200
PUT /api/admin/userInstitution/{membership}             403 404 403 404 200 200
DELETE /api/admin/userInstitution/{membership}          403 404 403 404 200 404
POST /api/admin/userInstitutions/eligible               403 404 403 404 200 200
POST /api/admin/userInstitutions/enroll                 403 404 403 404 200 200
POST /api/admin/userInstitutions/bulk-delete            403 200 403 200 200 200
POST /api/admin/institutions                            403 200 403 200 200 200
POST /api/admin/institution                             403 404 403 404 200 200
GET /api/admin/institution/{twin}                       403 404 403 404 200 200
PUT /api/admin/institution/{twin}                       403 404 403 404 200 200
DELETE /api/admin/institution/{twin}                    403 404 403 404 200 404
POST /api/admin/institution/{twin}/clone                403 404 403 404 200 200
PATCH /api/admin/institution/{twin}/account             403 404 403 404 404 200
POST /api/admin/accounts                                403 403 403 200 403 200
POST /api/admin/account                                 403 403 403 403 403 200
GET /api/admin/account/{account}                        403 403 403 404 403 200
PUT /api/admin/account/{account}                        403 403 403 404 403 200
DELETE /api/admin/account/{account}                     403 403 403 403 403 409
POST /api/admin/institution/{twin}/credits              403 403 403 403 403 200
POST /api/admin/account/{account}/credits               403 403 403 403 403 200
PUT /api/admin/accountInstitution/{account}             403 403 403 404 403 200
POST /api/admin/accountTransfers                        403 403 403 200 403 200
POST /api/user/userInstitutionCredit/{membership}       403 404 403 404 404 404
POST /api/admin/history/{turn}/refund                   403 403 403 403 403 404
GET /api/user/credit-cap-status                         200 200 200 200 200 200
GET /api/user/usage-history                             200 200 200 200 200 200
GET /api/admin/usage-limits                             403 422 422 422 422 422
POST /api/admin/histories                               403 200 403 200 200 200
POST /api/admin/histories/export                        403 200 403 200 200 200
GET /api/admin/history/{turn}                           403 404 403 404 404 404
POST /api/admin/usage                                   403 200 403 200 200 200
POST /api/admin/histories/charts/timeline               403 200 403 200 200 200
POST /api/admin/histories/charts/totals                 403 200 403 200 200 200
POST /api/admin/histories/charts/users                  403 200 403 200 200 200
POST /api/admin/histories/charts/model-distribution     403 200 403 200 200 200
POST /api/admin/histories/charts/user-stats             403 200 403 200 200 200
POST /api/admin/histories/charts/user-stats/export      403 200 403 200 200 200
POST /api/admin/audit                                   403 200 403 200 200 200
POST /api/admin/audit/export                            403 200 403 200 200 200
GET /api/admin/audit/check                              403 403 403 403 403 200
POST /api/admin/ssoProviders                            403 200 403 200 200 200
POST /api/admin/ssoProvider                             403 404 403 404 200 409
GET /api/admin/ssoProvider/{provider}                   403 404 403 404 200 200
PUT /api/admin/ssoProvider/{provider}                   403 404 403 404 200 200
DELETE /api/admin/ssoProvider/{provider}                403 404 403 404 200 404
POST /api/admin/ssoProvider/{provider}/test             403 404 403 404 422 422
POST /api/auth/sso_callback                             public
GET /sso/callback                                       public
GET /sso/{slug}                                         public
POST /api/session                                       public
POST /api/auth/sdk-sign                                 public
POST /api/auth/sdk-verify                               public
POST /api/auth/autosignup                               public
POST /api/test/url                                      public
POST /api/auth/createInstitutionForContextid            403 404 404 404 200 200
POST /api/admin/institution/{twin}/launchSecret         403 404 403 404 200 200
DELETE /api/admin/institution/{twin}/launchSecret       403 404 403 404 200 200
POST /api/session/verify                                public
POST /api/session/signup                                public
POST /api/session/sso                                   public
GET /api/session                                        public
POST /api/session/refresh                               401 401 401 401 401 401
DELETE /api/session                                     401 401 401 401 401 401
GET /api/admin/history/{turn}/prompt                    403 404 403 404 404 404
POST /api/admin/moderations                             403 200 403 200 200 200
POST /api/user/exportHistory                            404 404 404 404 404 404
POST /api/user/share                                    404 404 404 404 404 404
GET /api/user/shares                                    200 200 200 200 200 200
DELETE /api/user/share/{turn}                           404 404 404 404 404 404
GET /api/shared/{slug}                                  public
POST /api/user/memories                                 200 200 200 200 200 200
POST /api/user/memory                                   200 200 200 200 200 200
PUT /api/user/memory/{turn}                             404 404 404 404 404 404
DELETE /api/user/memory/personal                        200 200 200 200 200 200
DELETE /api/user/memory/{turn}                          404 404 404 404 404 404
POST /api/admin/memories                                403 200 403 200 200 200
DELETE /api/admin/memory/{turn}                         403 404 403 404 404 404
POST /api/user/files                                    415 415 415 415 415 415
POST /api/user/uploads                                  200 200 200 200 200 200
GET /api/user/upload/{turn}                             404 404 404 404 404 404
PUT /api/user/upload/{turn}                             404 404 404 404 404 404
DELETE /api/user/upload/{turn}                          404 404 404 404 404 404
POST /api/user/files/{turn}/reprocess                   404 404 404 404 404 404
POST /api/user/files/{turn}/cancel                      404 404 404 404 404 404
POST /api/user/embeddings                               404 404 404 404 404 404
PUT /api/user/embedding/{turn}                          404 404 404 404 404 404
POST /api/user/files/search-content                     200 200 200 200 200 200
POST /api/user/searchRag                                200 200 200 200 200 200
POST /api/user/collections                              200 200 200 200 200 200
POST /api/user/collection                               200 200 200 200 200 200
PUT /api/user/collection/{turn}                         404 404 404 404 404 404
DELETE /api/user/collection/{turn}                      404 404 404 404 404 404
POST /api/user/collection/{turn}/files                  404 404 404 404 404 404
POST /api/user/bulk/action                              200 200 200 200 200 200
POST /api/user/url                                      422 422 422 422 422 422
PUT /api/user/reingest/{turn}                           404 404 404 404 404 404
PUT /api/user/reload/{turn}                             404 404 404 404 404 404
GET /api/user/history/{turn}/ragSearch                  404 404 404 404 404 404
GET /uploads/{user}/{turn}                              link
POST /api/admin/tools                                   403 403 403 403 403 200
GET /api/admin/tool/{turn}                              403 403 403 403 403 404
POST /api/admin/tool                                    403 403 403 403 403 409
PUT /api/admin/tool/{turn}                              403 403 403 403 403 404
DELETE /api/admin/tool/{turn}                           403 403 403 403 403 404
POST /api/admin/mcpservers                              403 200 403 200 200 200
POST /api/admin/mcpserver                               403 404 403 404 200 409
GET /api/admin/mcpserver/{turn}                         403 404 403 404 404 404
PUT /api/admin/mcpserver/{turn}                         403 404 403 404 404 404
DELETE /api/admin/mcpserver/{turn}                      403 404 403 404 404 404
POST /api/admin/mcpserver/{turn}/test                   403 404 403 404 404 404
POST /api/admin/institution/{twin}/mcpSecret            403 404 403 404 200 200
POST /api/mcp                                           200 200 200 200 200 200
GET /api/test/health                                    public
GET /healthz                                            public
GET /readyz                                             public
GET /metrics                                            operator
GET /api/rt-docs.json                                   public
GET /api/admin-docs.json                                public
GET /docs                                               public
GET /docs/admin                                         public
GET /                                                   public
GET /signin                                             public
GET /join                                               public
GET /approve                                            public
GET /chat/{slug}                                        public
GET /assets/{slug}                                      public
GET /favicon.svg                                        public
GET /embed/{slug}                                       public
GET /twinspeak.js                                       public
GET /pria-sdk.js                                        public
GET /pria-sdk-web.js                                    public
"""

EVENTS = {
    "register": "a token in it, or it proves nothing",
    "register_user": "a token in it, or it proves nothing",
    "REGISTER": "a token in it, or it proves nothing",
    "cancel_request": "turns of the socket's own user",
    "cancel_streaming": "turns of the socket's own user",
}
"""Every socket event, and what it takes."""

/* What the files about public keys and tokens offer to the rest of the signature engine. Nobody
 * else includes this. */
#ifndef KNOCKER_SCHEME_JWT_H
#define KNOCKER_SCHEME_JWT_H

#include "scheme_parts.h"

/* As a token names it. */
const char *scheme_jwt_name(jwt_alg alg);
/* JWT_ALGS: no algorithm that we know is named so. */
jwt_alg scheme_jwt_find(knocker_bytes name);
#define JWT_BIT(alg) (1u << (alg))
#define JWT_HS (JWT_BIT(JWT_HS256) | JWT_BIT(JWT_HS384) | JWT_BIT(JWT_HS512))
digest scheme_jwt_digest(jwt_alg alg);

/* scheme_public.c: adds the keys of one secret, a PEM, bare base64 or JWK. A private key is refused
 * unless the keys are to sign; none at all too, without its text. */
int32_t scheme_public_add(const scheme *s, scheme_keys *keys, size_t secret, size_t group,
                          knocker_bytes text, knocker_error *error);
bool scheme_public_is_private(knocker_bytes text); /* whether its armour says so */

/* scheme_source.c */
/* `text` is the name's, with its options put in. */
bool scheme_path_cut(scheme_name name, knocker_bytes text, knocker_bytes *steps, scan_path *out);
void scheme_token_enter(scheme_reading *r, knocker_bytes claims); /* absent: of no token */

/* scheme_jwt.c */
/* Whether the token is signed under one of the group's keys; then its claims can be read. */
bool scheme_jwt_signed(scheme_reading *r, size_t group, knocker_bytes token);
/* Whether they are what the scheme wants, at this time. */
bool scheme_jwt_claims_good(scheme_reading *r, const scheme_jwt *rules);

/* scheme_sign_jwt.c: a token with the claims that the scheme asks for. */
int32_t scheme_jwt_sign(scheme_reading *r, const scheme_try *t, const scheme_key *key,
                        knocker_bytes *out, knocker_error *error);

/* scheme_sign.c */
knocker_bytes scheme_made_up(scheme_reading *r); /* an id that the same request has again */
knocker_bytes scheme_encode(scheme_reading *r, encoding how, knocker_bytes bytes);

#endif

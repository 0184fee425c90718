/* Certificates that an application gives: the key in the first one, whether the others issued it,
 * whose it is and when it holds. Knows no store of roots and fetches nothing: the last certificate
 * that is given is trusted because it was given. */
#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "crypto.h"

static X509 *certificate_read(knocker_bytes der)
{
	const unsigned char *at = der.data;
	X509 *made = der.len > 0 ? d2i_X509(NULL, &at, (long)der.len) : NULL;

	if (made && at == (const unsigned char *)der.data + der.len)
		return made;
	X509_free(made);
	return NULL;
}

/* Whether `issuer` may issue certificates and issued this one, with `between` others below it. */
static bool certificate_issued(X509 *one, X509 *issuer, size_t between)
{
	long most = X509_get_pathlen(issuer);

	return X509_check_issued(issuer, one) == X509_V_OK && X509_check_ca(issuer) > 0 &&
	       (most < 0 || (size_t)most >= between) && X509_verify(one, X509_get0_pubkey(issuer)) == 1;
}

static bool certificate_time(const ASN1_TIME *time, int64_t *out_s)
{
	ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
	int days = 0, seconds = 0;
	bool good = epoch && ASN1_TIME_diff(&days, &seconds, epoch, time) == 1;

	ASN1_TIME_free(epoch);
	*out_s = (int64_t)days * 86400 + seconds;
	return good;
}

/* Narrows the time to that in which this one holds, too. */
static bool certificate_narrow(const X509 *one, crypto_certificate *out)
{
	int64_t from_s, until_s;

	if (!certificate_time(X509_get0_notBefore(one), &from_s) ||
	    !certificate_time(X509_get0_notAfter(one), &until_s))
		return false;
	out->from_s = from_s > out->from_s ? from_s : out->from_s;
	out->until_s = until_s < out->until_s ? until_s : out->until_s;
	return true;
}

static bool certificate_key(X509 *one, crypto_certificate *out)
{
	unsigned char *der = NULL;
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(one), &der);
	bool fits = len > 0 && (size_t)len <= sizeof out->key;

	if (fits)
		memcpy(out->key, der, (size_t)len);
	out->key_len = fits ? (size_t)len : 0;
	OPENSSL_free(der);
	return fits;
}

static certificate_verdict certificate_judge(X509 *const *list, size_t count, knocker_bytes host,
                                             crypto_certificate *out)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (!list[i] || !certificate_narrow(list[i], out))
			return CERTIFICATE_UNREADABLE;
	if (!certificate_key(list[0], out))
		return CERTIFICATE_UNREADABLE;
	for (i = 1; i < count; i++)
		if (!certificate_issued(list[i - 1], list[i], i - 1))
			return CERTIFICATE_NOT_ISSUED;
	if (bytes_given(host) && X509_check_host(list[0], host.data, (size_t)host.len, 0, NULL) != 1)
		return CERTIFICATE_OTHER_HOST;
	return CERTIFICATE_GOOD;
}

certificate_verdict crypto_certificate_read(const knocker_bytes *ders, size_t count,
                                            knocker_bytes host, crypto_certificate *out)
{
	X509 *list[CRYPTO_CERTIFICATES_MAX] = {NULL};
	certificate_verdict verdict;
	size_t i;

	*out = (crypto_certificate){.from_s = INT64_MIN, .until_s = INT64_MAX};
	if (count == 0 || count > CRYPTO_CERTIFICATES_MAX)
		return CERTIFICATE_UNREADABLE;
	for (i = 0; i < count; i++)
		list[i] = certificate_read(ders[i]);
	verdict = certificate_judge(list, count, host, out);
	for (i = 0; i < count; i++)
		X509_free(list[i]);
	ERR_clear_error();
	return verdict;
}

/* Digests, MACs and Ed25519 against the vectors of the standards that define them. */
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "crypto.h"

static bool hex_is(const uint8_t *bytes, size_t len, const char *hex)
{
	char text[2 * DIGEST_MAX + 1] = "";
	size_t i;

	for (i = 0; i < len; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	return strcmp(text, hex) == 0;
}

static void unhex(const char *hex, uint8_t *out)
{
	unsigned int byte;

	for (; *hex && sscanf(hex, "%2x", &byte) == 1; hex += 2)
		*out++ = (uint8_t)byte;
}

/* FIPS 180: the digests of "abc". */
static void digests(void)
{
	static const char *const abc[DIGEST_KINDS] =
		{"a9993e364706816aba3e25717850c26c9cd0d89d",
	     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
	     ("cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
	      "8086072ba1e7cc2358baeca134c825a7"),
	     ("ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
	      "2192992a274fc1a836ba3c23a3feebbd"
	      "454d4423643ce80e2a9ac94fa54ca49f")};
	knocker_bytes parts[4] = {bytes_of("a"), {0}, bytes_of(""), bytes_of("bc")};
	uint8_t out[DIGEST_MAX];
	char hex[65];
	int d;

	for (d = 0; d < DIGEST_KINDS; d++)
		CHECK(hex_is(out, crypto_hash((digest)d, parts, 4, out), abc[d]),
		      "the digest of abc, in parts, is the standard's");
	CHECK(crypto_sha256_hex(bytes_of("abc"), hex), "a digest is made");
	CHECK(strcmp(hex, abc[DIGEST_SHA256]) == 0, "and so it is in hexadecimal");
	crypto_sha256_hex((knocker_bytes){0}, hex);
	CHECK(strcmp(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855") == 0,
	      "nothing has a digest too");
}

/* RFC 4231 (and 2202 for SHA-1): case 2, and case 6, whose key is longer than a block. */
static void macs(void)
{
	static const char *const jefe[DIGEST_KINDS] =
		{"effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
	     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
	     ("af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e"
	      "8e2240ca5e69e2c78b3239ecfab21649"),
	     ("164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
	      "9758bf75c05a994a6d034f65f8f0e6fd"
	      "caeab1a34d4a6b4b636e070a38bce737")};
	uint8_t long_key[131], out[DIGEST_MAX];
	knocker_bytes text = bytes_of("what do ya want for nothing?"), parts[2];
	int d;

	for (d = 0; d < DIGEST_KINDS; d++)
		CHECK(hex_is(out, crypto_hmac((digest)d, bytes_of("Jefe"), &text, 1, out), jefe[d]),
		      "the MAC of the RFC's case 2");
	memset(long_key, 0xaa, sizeof long_key);
	text = bytes_of("Test Using Larger Than Block-Size Key - Hash Key First");
	CHECK(hex_is(out, crypto_hmac(DIGEST_SHA256, (knocker_bytes){long_key, 131}, &text, 1, out),
	             "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"),
	      "a key longer than a block is hashed first");
	parts[0] = bytes_part(text, 0, 20);
	parts[1] = bytes_part(text, 20, (size_t)text.len);
	CHECK(hex_is(out, crypto_hmac(DIGEST_SHA512, (knocker_bytes){long_key, 131}, parts, 2, out),
	             "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352"
	             "6b56d037e05f2598bd0fd2215d6a1e52"
	             "95e64f73f63f0aec8b915a985d786598"),
	      "in parts it is the same");
	CHECK(crypto_hmac(DIGEST_SHA256, (knocker_bytes){0}, NULL, 0, out) == 32,
	      "an empty key and message have a MAC");
}

/* RFC 8032, section 7.1, tests 1 and 3. */
static void ed25519(void)
{
	uint8_t key[32], signature[64];
	knocker_bytes message = {"\xaf\x82", 2}, whole = {signature, 64};

	unhex("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", key);
	unhex("6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
	      "18ff9b538d16f290ae67f760984dc659"
	      "4a7c15e9716ed28dc027beceea1ec40a",
	      signature);
	CHECK(crypto_ed25519_verify(key, message, whole) == 1, "the RFC's signature is right");
	CHECK(crypto_ed25519_verify(key, (knocker_bytes){"\xaf\x83", 2}, whole) == 0,
	      "of another message it is wrong");
	CHECK(crypto_ed25519_verify(key, message, (knocker_bytes){signature, 63}) == 0,
	      "a byte short it is wrong");
	signature[63] ^= 1;
	CHECK(crypto_ed25519_verify(key, message, whole) == 0, "changed it is wrong");
	unhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", key);
	unhex("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
	      "5fb8821590a33bacc61e39701cf9b46b"
	      "d25bf5f0595bbe24655141438e7a100b",
	      signature);
	CHECK(crypto_ed25519_verify(key, (knocker_bytes){0}, whole) == 1,
	      "an empty message can be signed");
	memset(key, 0xFF, sizeof key);
	CHECK(crypto_ed25519_verify(key, message, whole) == 0,
	      "bytes that are no point verify nothing");
}

static void comparing(void)
{
	char secret[] = "secret";

	CHECK(crypto_equal(bytes_of("abc"), bytes_of("abc")), "equal bytes are equal");
	CHECK(!crypto_equal(bytes_of("abc"), bytes_of("abd")) &&
	          !crypto_equal(bytes_of("abc"), bytes_of("ab")),
	      "others are not");
	CHECK(!crypto_equal((knocker_bytes){0}, (knocker_bytes){0}) &&
	          crypto_equal(bytes_of(""), bytes_of("")),
	      "absent equals nothing, empty equals empty");
	crypto_cleanse(secret, sizeof secret);
	crypto_cleanse(NULL, 5);
	CHECK(secret[0] == 0 && secret[5] == 0, "what was cleansed is zero");
}

int main(void)
{
	digests();
	macs();
	ed25519();
	comparing();
	return check_end("test_crypto");
}

import braintree from "braintree";

function gatewayOf(privateKey) {
	const environment = braintree.Environment.Sandbox;
	return new braintree.BraintreeGateway({ environment, merchantId: "unused", publicKey: "public_key_1", privateKey });
}

export async function verify(request, secret) {
	const form = new URLSearchParams(request.text);
	await gatewayOf(secret).webhookNotification.parse(form.get("bt_signature"), form.get("bt_payload"));
	return true;
}

export function sign(request, secret) {
	const sample = gatewayOf(secret).webhookTesting.sampleNotification(request.text, "sub_1");
	return new URLSearchParams(sample).toString();
}

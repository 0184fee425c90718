import "@shopify/shopify-api/adapters/node";
import { ApiVersion, shopifyApi } from "@shopify/shopify-api";

export async function verify(request, secret) {
	const { webhooks } = shopifyApi({
		apiKey: "unused",
		apiSecretKey: secret,
		apiVersion: Object.values(ApiVersion)[0],
		hostName: "example.com",
		isEmbeddedApp: false,
		logger: { log: () => {} },
	});
	const rawRequest = { method: request.method, url: "/hooks", headers: request.headers };
	return (await webhooks.validate({ rawBody: request.text, rawRequest })).valid;
}

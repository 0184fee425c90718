import adyen from "@adyen/api-library";

const validator = new adyen.hmacValidator();

function itemOf(notification) {
	return notification.notificationItems[0].NotificationRequestItem;
}

export function verify(request, secret) {
	return validator.validateHMAC(itemOf(JSON.parse(request.text)), secret);
}

export function sign(request, secret) {
	const notification = JSON.parse(request.text);
	const item = itemOf(notification);
	item.additionalData = { hmacSignature: validator.calculateHmac(item, secret) };
	return JSON.stringify(notification);
}

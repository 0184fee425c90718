"""Adyen, for notifications with the signature in the body. Called by host.py."""

import json

from Adyen.util import generate_notification_sig, is_valid_hmac_notification


def verify(request, secret):
    return is_valid_hmac_notification(json.loads(request.body), secret)


def sign(request, secret, now):
    notification = json.loads(request.body)
    item = notification["notificationItems"][0]["NotificationRequestItem"]
    bare = {name: value for name, value in item.items() if name != "additionalData"}
    item["additionalData"] = {"hmacSignature": generate_notification_sig(bare, secret).decode()}
    return json.dumps(notification)

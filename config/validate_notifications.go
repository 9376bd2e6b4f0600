package config

import (
	"net"
	"net/url"
	"strings"
)

// notificationsValidator validates the receiver of alerts and, for email, how mail is sent. secretsValidator validates
// the receiver's address.
type notificationsValidator struct{ part }

func (v notificationsValidator) validate() {
	n := v.c.Notifications
	switch {
	case strings.Contains(n.Receiver, "://"):
		v.fault("notifications.receiver", nil, "is an address, which is a secret of its own: the receiver is slack, discord or "+
			"webhook", "receiver: slack, and "+secretCommand(NotificationsURL))
	case n.Receiver != "":
		v.oneOf("notifications.receiver", n.Receiver, Slack, Discord, Webhook, Email)
	}
	v.mail("notifications.email.to", n.Email.To, "ops@example.com")
	v.mail("notifications.email.from", n.Email.From, "platform@example.com")
	server, user := n.Email.Server, n.Email.Username
	switch fault := serverFault(server); {
	case server == "" && n.Receiver == Email:
		v.fault("notifications.email.server", nil, "is not set: notifications.receiver is email", "smtp.example.com:587")
	case server != "" && fault != "":
		v.fault("notifications.email.server", server, fault, "smtp.example.com:587")
	}
	if user != "" && (strings.ContainsFunc(user, func(r rune) bool { return r <= ' ' || r > '~' }) || len(user) > 254) {
		v.fault("notifications.email.username", user, "must be printable letters without spaces, 254 at most",
			"platform@example.com")
	}
	if n.Receiver != Email && n.Email != (Mail{}) {
		v.fault("notifications.email", nil, "is not used: notifications.receiver is not email",
			"notifications.receiver: email, or no notifications.email")
	}
}

func (v notificationsValidator) mail(path, address, example string) {
	switch {
	case address == "" && v.c.Notifications.Receiver == Email:
		v.fault(path, nil, "is not set: notifications.receiver is email", example)
	case address != "" && !mailAddress.MatchString(address):
		v.fault(path, address, "is not a mail address", example)
	}
}

// serverFault returns what is wrong with host:port, or "".
func serverFault(text string) string {
	host, port, err := net.SplitHostPort(text)
	switch {
	case err != nil:
		return "must be a host and a port"
	case !subdomain(strings.ToLower(host)):
		return "has no valid host name"
	case isLoopback(host):
		return "is the pod of Alertmanager itself"
	case !validPort(port):
		return "has no valid port"
	}
	return ""
}

// notifications checks that the secrets fit the receiver, without showing them.
func (v secretsValidator) notifications() {
	n := v.c.Notifications
	address, hasAddress := v.get(Namespace + ":" + NotificationsURL)
	password, hasPassword := v.get(Namespace + ":" + NotificationsPassword)
	byURL := n.Receiver == Slack || n.Receiver == Discord || n.Receiver == Webhook
	switch {
	case byURL && !hasAddress:
		v.fault(NotificationsURL, nil, "is not set: it is the address of notifications.receiver",
			secretCommand(NotificationsURL))
	case hasAddress && !byURL:
		v.fault(NotificationsURL, nil, "is not used: notifications.receiver is not slack, discord or webhook",
			"pulumi config set --path kubeadm-aws:notifications.receiver slack")
	case hasAddress && address != sealed:
		if fault := webhookFault(address, n.Receiver); fault != "" {
			v.fault(NotificationsURL, nil, fault, secretCommand(NotificationsURL))
		}
	}
	switch login := n.Receiver == Email && n.Email.Username != ""; {
	case login && !hasPassword:
		v.fault(NotificationsPassword, nil, "is not set: notifications.email.username logs in with it",
			secretCommand(NotificationsPassword))
	case hasPassword && !login:
		v.fault(NotificationsPassword, nil, "is not used: there is no notifications.email.username",
			"pulumi config rm kubeadm-aws:"+NotificationsPassword)
	case hasPassword && (password == "" || strings.ContainsAny(password, "\r\n\x00")):
		v.fault(NotificationsPassword, nil, "must be one line that is not empty", secretCommand(NotificationsPassword))
	}
}

// webhookFault returns what is wrong with the address of a webhook, or "". A token in its path or after ? is allowed:
// the address is a secret.
func webhookFault(text, receiver string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "is not a URL"
	case u.Scheme != "https" && (u.Scheme != "http" || receiver != Webhook):
		return "must begin with https://"
	case u.Hostname() == "" || !subdomain(strings.ToLower(u.Hostname())):
		return "has no valid host name"
	case isLoopback(u.Hostname()):
		return "is the pod of Alertmanager itself"
	case strings.HasSuffix(u.Host, ":") || u.Port() != "" && !validPort(u.Port()):
		return "has no valid port"
	}
	return ""
}

// Package notify carries events out: to webhooks, by mail, and to clients whose
// sessions ended.
//
// The way of an event: whatever happens writes its event in the commit of the
// change. Plan (plan.go) follows the log of events and asks every channel
// whom an event concerns; the answers become deliveries, stored in the commit
// that moves the log's cursor on, so that no event is missed and none is planned
// twice. Send (send.go) takes deliveries that are due, lane by lane, lets their
// channel make one attempt each, and writes down how it ended. A claim on a
// delivery is a lease: if this process dies with it, the delivery is due again
// when the lease ends.
//
// So everything is sent at least once, and its receiver recognises a repetition
// by the delivery's id. What fails is tried again, later each time, until it is
// given up. A lane whose endpoint fails again and again is left alone for a
// while, and holds up nothing but itself.
package notify

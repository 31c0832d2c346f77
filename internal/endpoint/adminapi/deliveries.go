package adminapi

import (
	"net/http"
	"slices"

	"github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/authority"
)

func (h *handler) listDeliveries(w http.ResponseWriter, r *http.Request) error {
	p, err := page(r)
	if err != nil {
		return err
	}
	query := r.URL.Query()
	f := authority.DeliveryFilter{
		Channel: query.Get("channel"), Target: query.Get("target"), State: authority.DeliveryState(query.Get("state")),
	}
	states := []authority.DeliveryState{"", authority.DeliveryPending, authority.DeliveryDelivered, authority.DeliveryFailed}
	if !slices.Contains(states, f.State) {
		return invalidf("state is none of pending, delivered, failed")
	}
	if f.Target != "" && f.Channel == "" {
		return invalidf("a target is one of a channel: name the channel too")
	}
	found, err := h.cfg.Deliveries.Deliveries(r.Context(), f, p)
	if err != nil {
		return err
	}
	return answerPage(w, p, found, wireDelivery, func(d authority.Delivery) string { return d.ID.String() })
}

func (h *handler) showDelivery(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	d, err := h.cfg.Deliveries.Delivery(r.Context(), id)
	if err != nil {
		return err
	}
	wire := wireDelivery(d)
	wire.Body = string(d.Body)
	return answer(w, http.StatusOK, wire)
}

func (h *handler) retryDelivery(w http.ResponseWriter, r *http.Request) error {
	why, err := reason(r)
	if err != nil {
		return err
	}
	id, err := pathID(r)
	if err != nil {
		return err
	}
	if err := h.cfg.Notify.Retry(r.Context(), operator(), id, why); err != nil {
		return err
	}
	return done(w)
}

func wireDelivery(d authority.Delivery) admin.Delivery {
	wire := admin.Delivery{
		ID: d.ID.String(), Channel: d.Channel, Target: d.Target, EventID: text(d.EventID), EventType: string(d.EventType),
		State: string(d.State), Attempts: d.Attempts, LastError: d.LastError, GiveUpAt: d.GiveUpAt, CreatedAt: d.CreatedAt, DoneAt: d.DoneAt,
	}
	if d.State == authority.DeliveryPending {
		wire.NextAt = d.NextAt
	}
	return wire
}

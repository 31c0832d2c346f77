// Package jetongrpc puts a guard of package jeton in front of a gRPC server.
//
//	guarded, err := jetongrpc.New(jetongrpc.Config{
//		Guard:   guard,
//		Demands: []jeton.Demand{jeton.Scope("reports:read")},
//		Methods: map[string][]jeton.Demand{"/reports.v1.Reports/Delete": {jeton.Scope("reports:delete"), jeton.MaxAge(time.Minute)}},
//		Public:  []string{"/grpc.health.v1.Health/Check"},
//	})
//	server := grpc.NewServer(grpc.UnaryInterceptor(guarded.Unary), grpc.StreamInterceptor(guarded.Stream))
//
// The token comes in the metadata "authorization", after the scheme Bearer. A
// handler finds it with jeton.FromContext. A call that is refused ends with
// Unauthenticated, PermissionDenied or Unavailable, and with the reason in the
// trailer "jeton-reason"; jeton.Reasons lists them.
//
// A stream may live longer than its token. So the token is checked again
// whenever a message passes, which costs a lookup: after the token has expired
// or was revoked, no message does. A token that is good for so many uses cannot
// open a stream.
//
// Central policies go by POST and the full method, for example
// "POST /reports.v1.Reports/Delete".
//
// It is a module of its own so that package jeton needs no other module.
package jetongrpc

package server

import "context"

// Sweep does one round of upkeep now.
func (s *Server) Sweep(ctx context.Context) { s.upkeep.Round(ctx) }

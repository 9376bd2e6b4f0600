package driver

import "context"

// redact writes the copy of the state without secrets.
func redact(ctx context.Context, s *run) error {
	w, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer w.Close()
	s.start(w)
	at, err := w.PublishRedacted(ctx)
	if err != nil {
		return err
	}
	s.log.Info("The copy without secrets is in " + at + ".")
	return nil
}

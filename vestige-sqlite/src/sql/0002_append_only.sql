-- The log of reviews is never changed, so that those of several machines can be merged.

CREATE TRIGGER review_events_never_updated BEFORE UPDATE ON review_events
BEGIN
    SELECT RAISE(ABORT, 'the review log is append only');
END;

CREATE TRIGGER review_events_never_deleted BEFORE DELETE ON review_events
BEGIN
    SELECT RAISE(ABORT, 'the review log is append only');
END;

-- Events of a memory are read in this order.
DROP INDEX idx_review_events_memory;
CREATE INDEX idx_review_events_memory ON review_events (memory_id, timestamp, id);

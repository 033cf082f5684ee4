-- Postings that any of their ids names.
SELECT DISTINCT account, posting_id FROM posting_ids WHERE tenant = ?1 AND text = ?2

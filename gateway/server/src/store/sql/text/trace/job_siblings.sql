-- Postings that are siblings of this one by its own list.
SELECT DISTINCT other.account, other.posting_id
FROM posting_ids AS mine INDEXED BY posting_ids_of_posting
CROSS JOIN posting_ids AS other
WHERE other.tenant = mine.tenant AND other.text = mine.text
    AND mine.account = ?1 AND mine.posting_id = ?2 AND mine.kind = 'sibling' AND other.kind = 'posting'

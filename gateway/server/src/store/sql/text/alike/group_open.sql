INSERT INTO alike_groups (account, mark, tenant, step, class, reason, vendor_status, fields, everyone, case_id, opened_at, next_probe_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)

SELECT mark, case_id, probes FROM alike_groups WHERE account = ?1 AND probe = ?2

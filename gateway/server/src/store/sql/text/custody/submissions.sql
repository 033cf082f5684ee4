SELECT count(*)
FROM submissions

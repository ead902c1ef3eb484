-- Winners that were written to, or may have been, for merges that are not all done: the last write of each, and whether
-- some of its merges are.
WITH written AS (
    SELECT lead, max(call) AS call
    FROM call_lead
    WHERE call IN (
        SELECT call.id FROM call JOIN journal ON journal.call = call.id
        WHERE kind = 'write' AND event = 'started'
    )
    GROUP BY lead
),
merge AS (
    SELECT call.plan, call_lead.lead, EXISTS (
        SELECT 1 FROM journal
        WHERE journal.call = call.id AND event = 'verified' AND survivor IS NOT NULL
    ) AS done
    FROM call JOIN call_lead ON call_lead.call = call.id
    WHERE kind = 'merge' AND role = 'winner'
)
SELECT call.plan, written.lead, max(merge.done) AS part_done
FROM written
JOIN call ON call.id = written.call
JOIN merge ON merge.plan = call.plan AND merge.lead = written.lead
GROUP BY call.plan, written.lead
HAVING min(merge.done) = 0
ORDER BY written.lead

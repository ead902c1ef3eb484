-- Winners that were written to, or may have been, for merges that are not all done: the last write of each, and whether
-- some of its losers are gone. A call that merged some of its losers is begun, and not done.
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
    SELECT call.plan, call_lead.lead, coalesce(max(json_array_length(verified.merged)), 0) AS gone, (
        SELECT count(*) FROM call_lead AS loser WHERE loser.call = call.id AND loser.role = 'loser'
    ) AS losers
    FROM call JOIN call_lead ON call_lead.call = call.id
    LEFT JOIN journal AS verified
        ON verified.call = call.id AND verified.event = 'verified' AND verified.survivor IS NOT NULL
    WHERE call.kind = 'merge' AND call_lead.role = 'winner'
    GROUP BY call.id, call_lead.lead
)
SELECT call.plan, written.lead, max(merge.gone > 0) AS part_done
FROM written
JOIN call ON call.id = written.call
JOIN merge ON merge.plan = call.plan AND merge.lead = written.lead
GROUP BY call.plan, written.lead
HAVING min(merge.gone >= merge.losers) = 0
ORDER BY written.lead

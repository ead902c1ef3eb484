-- Winners that hold, or may hold, values of a plan: the last write of each that prepared a merge, unless Marketo did not
-- do it or the lead needs nothing more of it; and the losers of that plan which are gone into it.
WITH written AS (
    SELECT call_lead.lead, max(call.id) AS call
    FROM call
    JOIN call_lead ON call_lead.call = call.id
    LEFT JOIN call_purpose ON call_purpose.call = call.id
    WHERE call.kind = 'write' AND coalesce(purpose, 'prepare') = 'prepare'
        AND EXISTS (SELECT 1 FROM journal WHERE journal.call = call.id AND event = 'started')
        AND NOT EXISTS (SELECT 1 FROM journal WHERE journal.call = call.id AND event = 'not_done')
        AND NOT EXISTS (SELECT 1 FROM write_end WHERE write_end.call = call.id AND write_end.lead = call_lead.lead)
    GROUP BY call_lead.lead
)
SELECT call.plan, written.lead, (
    SELECT json_group_array(gone.value)
    FROM call_lead
    JOIN call AS merge ON merge.id = call_lead.call
    JOIN journal AS verified ON verified.call = merge.id
    JOIN json_each(verified.merged) AS gone
    WHERE call_lead.lead = written.lead AND call_lead.role = 'winner'
        AND merge.plan = call.plan AND merge.kind = 'merge'
        AND verified.event = 'verified' AND verified.survivor IS NOT NULL
)
FROM written
JOIN call ON call.id = written.call
ORDER BY written.lead

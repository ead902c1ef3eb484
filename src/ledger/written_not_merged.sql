, written AS (
    SELECT call.id AS call, call.plan, call_lead.lead
    FROM (SELECT * FROM bounded WHERE id = ?1) AS bounded
    JOIN call ON call.id > after_call AND call.id <= last_call
    JOIN call_lead ON call_lead.call = call.id
    LEFT JOIN call_purpose ON call_purpose.call = call.id
    WHERE call.kind = 'write' AND coalesce(purpose, 'prepare') = 'prepare'
        AND EXISTS (SELECT 1 FROM journal WHERE journal.call = call.id AND event = 'started')
        AND NOT EXISTS (SELECT 1 FROM journal WHERE journal.call = call.id AND event = 'not_done')
        AND NOT EXISTS (
            SELECT 1 FROM write_end
            WHERE write_end.call = call.id AND write_end.lead = call_lead.lead AND how = 'not written')
        -- No merge of its plan followed, and none may be under way.
        AND NOT EXISTS (
            SELECT 1 FROM call_lead AS of_merge
            JOIN call AS merge ON merge.id = of_merge.call AND merge.kind = 'merge' AND merge.plan = call.plan
            WHERE of_merge.lead = call_lead.lead AND merge.id > call.id
                AND (SELECT event FROM journal WHERE journal.call = merge.id ORDER BY seq DESC LIMIT 1)
                    IN ('started', 'accepted', 'refused', 'unknown', 'verified', 'contradicted'))
)
SELECT written.lead, field, before, after,
    EXISTS (
        SELECT 1 FROM call_value AS back
        JOIN call_purpose ON call_purpose.call = back.call AND purpose = 'give_back'
        JOIN journal ON journal.call = back.call AND event = 'verified'
        WHERE back.call > written.call AND back.lead = written.lead AND back.field = call_value.field),
    EXISTS (SELECT 1 FROM write_end WHERE write_end.call = written.call AND write_end.lead = written.lead)
FROM written
LEFT JOIN call_value ON call_value.call = written.call AND call_value.lead = written.lead
ORDER BY written.lead, written.call, field

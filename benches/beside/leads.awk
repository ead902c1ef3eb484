# Leads as CSV: awk -v leads=2000000 -f leads.awk. Twelve columns; 3% of the leads are in groups; the emails are in no
# order, as in life.
BEGIN {
  print "id,email,firstName,lastName,company,createdAt,updatedAt,originalSourceType,originalSourceInfo,leadPartitionId,sfdcType,unsubscribed"
  for (id = 1; id <= leads; id++) {
    person = id % 67 == 0 ? id - 1 : id
    scattered = (person * 7919) % 1000003
    printf "%d,P%06d.%d@example.com,Ada,Byron %d,Analytical Engines %d,20%02d-%02d-%02dT07:08:%02dZ,2025-05-06T07:08:09Z,List import,upload %d,1,,false\n",
      id, scattered, person, person, person % 5000, 10 + person % 15, 1 + person % 12, 1 + person % 28, id % 60, person % 100
  }
}

-- Health of every kind of backup-operator.io, by the conditions that kstatus reads.
local hs = { status = "Progressing", message = "Waiting for the operator" }
if obj.spec ~= nil and obj.spec.suspend == true then
  return { status = "Suspended", message = "spec.suspend is true" }
end
if obj.status == nil or obj.status.conditions == nil then
  return hs
end
if obj.status.observedGeneration ~= obj.metadata.generation then
  hs.message = "The newest spec has not been seen yet"
  return hs
end
local found = {}
for _, condition in ipairs(obj.status.conditions) do
  found[condition.type] = condition
end
local function holds(name)
  return found[name] ~= nil and found[name].status == "True"
end
local function tell(condition)
  if condition.message == nil or condition.message == "" then
    return condition.reason
  end
  return condition.reason .. ": " .. condition.message
end
if holds("Reconciling") then -- first, as kstatus does: it goes on by itself once somebody helps
  hs.message = tell(found.Reconciling)
  return hs
end
if holds("Stalled") then
  return { status = "Degraded", message = tell(found.Stalled) }
end
if holds("Ready") then
  return { status = "Healthy", message = tell(found.Ready) }
end
if found.Ready ~= nil then
  hs.message = tell(found.Ready)
end
return hs

-- A session in Ardour without a window: Mynah on a track that hears a sine, its parameters, its latency, its state in the session file.
-- Arguments: the folder for the session, the session's name, the name of a preset with a voice. Tells lines of `name value ...`.
local folder, name, preset = arg[1], arg[2], arg[3]
local backend = AudioEngine:set_backend ("None (Dummy)", "", "")
backend:set_device_name ("Sine Wave")
backend:set_buffer_size (512)

local function tell (...) print (...); io.stdout:flush () end
local function last (list) local found; for x in list:iter () do found = x end; return found end
local function wait (seconds, holds)
	for i = 1, seconds * 20 do
		if holds () then return true end
		ARDOUR.LuaAPI.usleep (50000)
	end
	return false
end
local function parameters (processor)
	local values = {}
	for i = 0, processor:to_plugininsert ():plugin (0):parameter_count () - 1 do
		values[#values + 1] = string.format ("%.3f", ARDOUR.LuaAPI.get_processor_param (processor, i))
	end
	return table.concat (values, " ")
end

local session = create_session (folder, name, 48000)
local track = last (session:new_audio_track (2, 2, nil, 1, "voice", ARDOUR.PresentationInfo.max_order, ARDOUR.TrackMode.Normal, true))
track:to_track ():monitoring_control ():set_value (1, PBD.GroupControlDisposition.NoGroup)
local function level () return track:peak_meter ():meter_level (0, ARDOUR.MeterType.MeterPeak) end
-- The level once it has stood near `db` for half a second: a meter still falls from what it showed a moment ago.
local function settled (db)
	local stood, last = 0, level ()
	wait (20, function ()
		last = level ()
		stood = math.abs (last - db) < 0.2 and stood + 1 or 0
		return stood == 10
	end)
	return last
end
tell ("before", settled (-18))

local mynah = ARDOUR.LuaAPI.new_plugin (session, "Mynah", ARDOUR.PluginType.VST3, "")
assert (not mynah:isnil (), "Ardour does not know Mynah")
assert (track:add_processor_by_index (mynah, 0, nil, true) == 0)
local insert = mynah:to_plugininsert ()
local live = insert:signal_latency ()
tell ("live", live)
tell ("through", settled (-18))
-- The order of the parameters is that of the plugin: 2 is the mode, 7 the gain in dB.
ARDOUR.LuaAPI.set_processor_param (mynah, 7, 6)
tell ("louder", settled (-12))
ARDOUR.LuaAPI.set_processor_param (mynah, 2, 2)
wait (20, function () return insert:signal_latency () ~= live end)
tell ("studio", insert:signal_latency ())

local plugin = insert:plugin (0)
assert (plugin:load_preset (plugin:preset_by_label (preset)), "the preset is refused")
wait (60, function () return insert:signal_latency () ~= live and math.abs (level () + 18) > 1 end)
tell ("preset", parameters (mynah))
session:save_state ("", false, false, false, false, false)
mynah, insert, plugin, track, session = nil, nil, nil, nil, nil
collectgarbage ()
close_session ()

session = load_session (folder, name)
local route = session:route_by_name ("voice")
local again
for i = 0, 10 do
	local processor = route:nth_plugin (i)
	if not processor:isnil () and processor:display_name () == "Mynah" then again = processor break end
end
assert (again, "Mynah is gone")
tell ("reopened", parameters (again))
wait (20, function () return again:to_plugininsert ():signal_latency () > live end)
tell ("latency", again:to_plugininsert ():signal_latency ())
route, again, session = nil, nil, nil
collectgarbage ()
close_session ()
tell ("closed")
quit ()

//! Voice activity: where speech is. Used by enrolment and by the captions; knows neither.

* Reads an export of ThighSeg in Stata 14 or later and fits the trend of one measure.
*   do read.do FOLDER REGION SIDE METRIC [EXTENT]
args folder region side metric extent
if "`extent'" == "" local extent "full"
import delimited using "`folder'/long.csv", varnames(1) case(preserve) stringcols(_all) clear bindquote(strict) encoding("utf-8")
keep if region == "`region'" & side == "`side'" & metric == "`metric'" & extent == "`extent'"
destring value visit, replace force
generate date = date(visit_date, "YMD")
format date %td
drop if missing(value) | missing(date)
generate order = _n
bysort subject_id visit (order): keep if _n == _N
bysort subject_id (date): generate years = (date - date[1]) / 365.25
encode subject_id, generate(subject)
mixed value years || subject: years, covariance(unstructured) reml
